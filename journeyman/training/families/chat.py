"""Small talk: a short answer and no call at all."""

from random import Random

from journeyman.training.families import words
from journeyman.training.tasks import Task

ABILITIES = "I can calculate, read, search and change files in this folder, and run Python."
TALK = (
    (("Hello", "Hello!", "Hi", "hi", "Hey", "hey there", "Good morning", "Good evening!", "Hello there"), "Hello! How can I help?"),
    (("Thanks", "Thank you", "thanks!", "Thank you very much", "Great, thanks", "Many thanks", "Cheers, thank you"), "You are welcome."),
    (("Bye", "Goodbye", "See you later", "bye!", "Good night"), "Goodbye!"),
    (("What can you do?", "what can you do", "How can you help me?", "What are you able to do?", "Help", "help me"), ABILITIES),
    (("Who are you?", "What are you?", "What is your name?", "who are you", "Are you a robot?"), "I am journeyman, a small local model with tools."),
    (("How are you?", "how are you", "How is it going?", "How do you do?"), "I am fine, thank you. How can I help?"),
    (("OK", "ok", "Okay, good", "Good job", "Well done", "Nice", "Great!", "Perfect"), "Glad to help."),
    (("I am {name}", "My name is {name}.", "Hi, I'm {name}", "Hello, my name is {name}", "I'm {name}, nice to meet you"), "Hello {name}! How can I help?"),
    (("Say hello to {name}", "Greet {name}", "say hi to {name}"), "Hello {name}!"),
    (("Say {word}", "Say the word {word}.", "Repeat after me: {word}"), "{word}"),
)  # fmt: skip
UNSEEN_TALK = (
    (("Good afternoon", "Hi there", "Hello, journeyman", "Hey you"), "Hello! How can I help?"),
    (("Thanks a lot", "I thank you", "Thank you so much!"), "You are welcome."),
    (("Which things can you do?", "What are your abilities?", "Tell me what you can do"), ABILITIES),
    (("Call me {name}", "This is {name}", "Hello, {name} here"), "Hello {name}! How can I help?"),
)


def make(random: Random, unseen: bool) -> Task:
    asks, reply = random.choice(UNSEEN_TALK if unseen else TALK)
    name, word = random.choice(words.NAMES), random.choice((*words.ITEMS, *words.COLOURS, "banana", "yes", "please"))
    says = reply.format(name=name, word=word)
    return Task(
        kind="chat",
        prompt=random.choice(asks).format(name=name, word=word),
        answer=says,
        match="talk",
        says=says,
        unseen=unseen,
    )
