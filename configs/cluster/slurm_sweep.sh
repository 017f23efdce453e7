#!/usr/bin/env bash
# Run a sweep with a SLURM array: as many tasks as the matrix has cells, a cell each.
#
#   sbatch --array=0-27 --export=ALL,MATRIX=paper configs/cluster/slurm_sweep.sh
#
# Tasks share finished stages through papermill_runs/store, so the project lies on a file system that all nodes see.
# `sweep paper --resume` prints the table once all tasks are done, and runs what failed.
#SBATCH --job-name=sweep
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%x-%A_%a.out
# For a decoder, too: #SBATCH --gres=gpu:1
set -euo pipefail
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
"${PYTHON:-.venv/bin/python}" -m competition_utils sweep "$MATRIX" --resume \
    --share "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
