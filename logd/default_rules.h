/* default_rules.h - rules/default.yaml as text, put into the program by the build. */
#ifndef DEFAULT_RULES_H
#define DEFAULT_RULES_H

extern const char default_rules[];

#endif
