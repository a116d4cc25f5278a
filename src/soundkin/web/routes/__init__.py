"""The routes of the API, a file a subject. They have no logic of their own: they ask the library."""
