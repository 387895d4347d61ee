# SPDX-License-Identifier: BSD-3-Clause
"""A network, its weights as a file, and how far a field is from the controls it knows."""
