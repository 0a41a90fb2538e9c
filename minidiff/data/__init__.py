"""What do we learn from?"""
