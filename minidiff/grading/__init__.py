"""How is a course of exercises built, and a class graded?"""
