"""For authors of feeds: the conformance kit, its rules, and a template."""
