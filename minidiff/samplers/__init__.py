"""How do we walk back from noise?"""
