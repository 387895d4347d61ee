# SPDX-License-Identifier: BSD-3-Clause
"""What `phenoscale install-plugin` copies into other programs; installed as phenoscale.plugins."""
