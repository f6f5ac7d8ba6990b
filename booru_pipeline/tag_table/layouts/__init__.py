"""The layouts in which people publish what boorus hold, each read into the same rows. One module a layout."""
