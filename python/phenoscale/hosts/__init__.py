# SPDX-License-Identifier: BSD-3-Clause
"""What other programs ask of phenoscale: tasks by name, the worker, plugins, the doctor."""
