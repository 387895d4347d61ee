# SPDX-License-Identifier: BSD-3-Clause
"""From predictions of fields to hits: wells, their profiles, the treatments that do something."""
