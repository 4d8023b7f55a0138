"""The files of deploy/ and the image: checked with the programs that read them, as far as a machine has those."""
