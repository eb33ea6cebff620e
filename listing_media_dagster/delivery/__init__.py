"""What the customer takes home: sized and named photos, contact sheet, gallery page, archive."""
