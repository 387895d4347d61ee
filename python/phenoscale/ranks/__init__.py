# SPDX-License-Identifier: BSD-3-Clause
"""Several processes at one work: who they are, what they exchange, what starts them."""
