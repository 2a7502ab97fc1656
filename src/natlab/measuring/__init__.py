"""What runs trained models: to translate, to distil and to measure them; and what turns that into measurements."""
