# SPDX-License-Identifier: BSD-3-Clause
"""Files written whole or not at all: CSV, tensors; below everything that keeps something."""
