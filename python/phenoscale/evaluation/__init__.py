# SPDX-License-Identifier: BSD-3-Clause
"""Predictions and profiles -> how good they are, how strictly asked, with which certainty."""
