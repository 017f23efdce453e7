"""Ways of fitting; `base` says what they have in common."""

import logging

# torchao, which transformers imports, warns of torch's own deprecations at every start.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
