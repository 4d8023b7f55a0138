"""Updates from other programs: lines of JSON and datagrams."""
