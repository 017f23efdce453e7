#!/usr/bin/env bash
# Score a folder of parquet shards with a SLURM array: each task takes every sixteenth shard.
#
#   sbatch --export=ALL,MODEL=papermill_runs/NAME/finetune/QC/fold0,SHARDS=/data/shards,SCORES=/data/scores \
#       configs/cluster/slurm_score.sh
#
# A task that is requeued, or an array that is submitted again, goes on behind the finished shards. The same command
# without --share, once all tasks are done, compares every hash and says that nothing is missing.
#SBATCH --job-name=score
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%x-%A_%a.out
# For a decoder, too: #SBATCH --gres=gpu:1
set -euo pipefail
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
"${PYTHON:-.venv/bin/python}" -m competition_utils score --model "$MODEL" --input "$SHARDS" --output "$SCORES" \
    --share "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
