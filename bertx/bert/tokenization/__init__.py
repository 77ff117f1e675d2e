"""From text to the ids of word pieces, and back."""
