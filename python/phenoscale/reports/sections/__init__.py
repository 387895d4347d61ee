# SPDX-License-Identifier: BSD-3-Clause
"""The sections of the report, one file each: a `Run` in, a dict for the template out, or only
"why" the section is left out."""
