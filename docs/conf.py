"""The documentation as a site: `make docs`. Its pages are the Markdown files here and the README."""

import importlib.metadata

project = "booru_pipeline"
release = importlib.metadata.version("booru-pipeline")
copyright = "the booru_pipeline authors"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "images"]
html_theme = "furo"
html_title = "booru_pipeline"
html_show_copyright = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # so that links to headings are checked too
nb_execution_mode = "off"  # the tests run the notebook; its outputs are what it gave on the demo's home

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_use_ivar = True
