# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in, numbers out: how right, how far apart, how a dose acts; numpy, and scipy for fits."""
