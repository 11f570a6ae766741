"""The documentation as a site: pages staged from where they lie, a reference made from the code, links checked."""
