# SPDX-License-Identifier: BSD-3-Clause
"""The command line: one verb a file, the options that they share, their endings."""
