# SPDX-License-Identifier: BSD-3-Clause
"""What the fields are: tables and folders read, roles, wells, labels, doses, splits, joins."""
