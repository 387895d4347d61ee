# SPDX-License-Identifier: BSD-3-Clause
"""Pages and pictures for people: the report of a run, the page of a check, galleries, evidence."""
