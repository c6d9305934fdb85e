"""Pictures that were delivered: fetched, measured against the request, described, kept, shown."""
