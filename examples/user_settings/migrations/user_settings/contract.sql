alter table users drop column profile;
