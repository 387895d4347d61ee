# SPDX-License-Identifier: BSD-3-Clause
"""CellProfiler's modules that measure what csrc/measures does, as text."""

import cellprofilers as cp


def modules(channels):
    """As they come, but for the images, whole images, and measures that are not ours."""
    return [
        cp.block("MeasureImageIntensity", {
            "Select images to measure": ", ".join(channels),
            "Measure the intensity only from areas enclosed by objects?": "No",
            "Select input object sets": "", "Calculate custom percentiles": "Yes",
            "Specify percentiles to measure": "1,5,95,99"}, revision=4),
        cp.block("MeasureGranularity", {
            "Select images to measure": ", ".join(channels), "Measure within objects?": "No",
            "Select objects to measure": "",
            "Subsampling factor for granularity measurements": 0.25,
            "Subsampling factor for background reduction": 0.25,
            "Radius of structuring element": 10,
            "Range of the granular spectrum": 16}, revision=4),
        cp.block("MeasureColocalization", {
            "Select images to measure": ", ".join(channels),
            "Set threshold as percentage of maximum intensity for the images": 15.0,
            "Select where to measure correlation": "Across entire image",
            "Select objects to measure": "", "Run all metrics?": "No",
            "Calculate correlation and slope metrics?": "Yes",
            "Calculate the Manders coefficients?": "Yes",
            "Calculate the Rank Weighted Colocalization coefficients?": "Yes",
            "Calculate the Overlap coefficients?": "Yes",
            "Calculate the Manders coefficients using Costes auto threshold?": "No",
            "Method for Costes thresholding": "Faster"}, revision=5),
        cp.block("MeasureTexture", {
            "Select images to measure": ", ".join(channels), "Select objects to measure": "",
            "Enter how many gray levels to measure the texture at": 256, "Hidden": 1,
            "Measure whole images or objects?": "Images",
            "Texture scale to measure": 3}, revision=7),
        cp.block("MeasureImageQuality", {
            "Calculate metrics for which images?": "All loaded images", "Image count": 1,
            "Scale count": 1, "Threshold count": 1, "Select the images to measure": "",
            "Include the image rescaling value?": "Yes", "Calculate blur metrics?": "Yes",
            "Spatial scale for blur measurements": 20, "Calculate saturation metrics?": "No",
            "Calculate intensity metrics?": "No", "Calculate thresholds?": "No",
            "Use all thresholding methods?": "No", "Select a thresholding method": "Otsu",
            "Typical fraction of the image covered by objects": 0.1,
            "Two-class or three-class thresholding?": "Two classes",
            "Minimize the weighted variance or the entropy?": "Weighted variance",
            "Assign pixels in the middle intensity class to the foreground or the background?":
                "Foreground"}, revision=6)]
