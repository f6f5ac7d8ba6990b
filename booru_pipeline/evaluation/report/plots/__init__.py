"""The report's plots: matplotlib draws them, as SVG that goes inline into the page and takes its colours from it."""
