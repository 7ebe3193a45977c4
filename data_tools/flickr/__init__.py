"""Collect photographs from Flickr: search, download, prepare, export, with licences and attribution.

`python -m data_tools.flickr` is the command. A collection is a folder:

    collection.sqlite               what was found, fetched and set aside, and how far each search came
    originals/<aa>/<photo id>.<ext>     the files as they came
    set_aside/<photo id>.<ext>          files that came but are of no use, with the reason in the manifest
    prepared/<size>/<class>/<photo id>.png
    manifest.jsonl  ATTRIBUTION.md  status.json
"""
