"""What is the function?"""
