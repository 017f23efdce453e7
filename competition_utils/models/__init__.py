"""Ways of fitting; `base` says what they have in common."""

import logging

# torchao, which transformers imports, warns of torch's own deprecations at every start.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
# bitsandbytes asks for a package of fast 4-bit kernels on a CPU, where nothing of ours is in 4-bit.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
# It orders checkpoints by their number where their times do not differ, as it should, and reports it at each one.
logging.getLogger("transformers.trainer_utils").setLevel(logging.ERROR)
