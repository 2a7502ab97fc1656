"""Encoders that others have trained, which a multilingual encoder has in place of its own, one class a file (see
`natlab.families`). Their files are the user's; `natlab.models.multilingual` says what a member is asked."""
