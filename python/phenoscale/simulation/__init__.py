# SPDX-License-Identifier: BSD-3-Clause
"""Screens drawn by a known recipe, with the truth beside them."""
