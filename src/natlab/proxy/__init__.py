"""MPLE's two ideas as two small families: proxy targets T and proxy inputs Z (Huang et al. 2022, section 3)."""
