"""How the documentation is built: ``sphinx-build -W docs docs/_build``."""

from importlib.metadata import version as version_of

project = "pytest-streamrt"
copyright = "the pytest-streamrt contributors"
release = version_of("pytest-streamrt")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pytest-streamrt"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
napoleon_use_ivar = True  # attributes as part of the class, not as objects of their own, which autodoc lists as well
