"""What a camera file needs to become a listing photo: decoding, brackets, geometry, colour, tone, privacy, encoding."""
