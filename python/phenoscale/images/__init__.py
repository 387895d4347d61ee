# SPDX-License-Identifier: BSD-3-Clause
"""From the files of a table to fields of pixels: headers, pages, what can be used, the streams."""
