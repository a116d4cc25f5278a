"""soundkin finds songs akin to the one you love, by listening to them."""

__version__ = "0.1.0.dev0"
