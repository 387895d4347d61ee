# SPDX-License-Identifier: BSD-3-Clause
"""Model and fields in; probabilities, embeddings and evidence out."""
