"""The page and its API: `create_app` makes an application of a library, `soundkin serve` runs it."""
