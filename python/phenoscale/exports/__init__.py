# SPDX-License-Identifier: BSD-3-Clause
"""Tables of fields, wells and treatments, as other programs read them: one file a format."""
