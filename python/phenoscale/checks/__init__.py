# SPDX-License-Identifier: BSD-3-Clause
"""The audit of a table before a long run: files, pixels, classes, memory and time."""
