# SPDX-License-Identifier: BSD-3-Clause
"""Labelled fields in, a run folder with a model out."""
