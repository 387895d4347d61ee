#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Training over the nodes of a Slurm cluster.  What stands behind the script goes to `train`:
#     sbatch --nodes=8 tools/cluster/slurm-train.sh screen.csv --label Metadata_Compound --out run
# One rank a node, or a socket (--ntasks-per-node=2), with all its cores.  Two minutes before its
# time is over, or on `scancel -s USR1 JOB`, the job saves a checkpoint, ends with status 75 and is
# queued again; so does Slurm itself with a job that lost a node.
#SBATCH --job-name=phenoscale
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=phenoscale-%j.log

status=0
phenoscale launch -n "$SLURM_NTASKS" -- train --resume "$@" || status=$?
[ "$status" != 75 ] || scontrol requeue "$SLURM_JOB_ID"
exit "$status"
