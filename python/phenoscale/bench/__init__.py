# SPDX-License-Identifier: BSD-3-Clause
"""Speed and memory, side by side with other frameworks; ranks measured and modelled."""
