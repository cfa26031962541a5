"""What the service tells about itself: metrics and logs. Every instrument is declared once, here."""
