# SPDX-License-Identifier: BSD-3-Clause
"""From fields to wells to treatments."""
