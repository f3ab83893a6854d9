"""What a sweep's file says: its arms, its seeds, and what it sets out to show."""
