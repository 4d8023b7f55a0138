"""The packages for PyPI and npm: built, installed into empty places, and used there as their READMEs say."""
